"""From a scene to labels: the published colour rule, the published thin-cloud and shadow filter, and the Spark job."""

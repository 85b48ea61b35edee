"""The archives: the Copernicus Data Space, DHuS hubs, STAC mirrors, folders."""

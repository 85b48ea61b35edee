"""Archives that can be asked: the Copernicus Data Space, DHuS hubs, STAC mirrors, folders."""

"""Labels from calibrated reflectance by a physical model of ice, water, cloud and air."""

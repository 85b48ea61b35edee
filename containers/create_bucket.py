"""Create the bucket that SEAICE_STORE_URL names, unless it is there."""

import os
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

bucket = urlsplit(os.environ["SEAICE_STORE_URL"]).netloc
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=bucket)

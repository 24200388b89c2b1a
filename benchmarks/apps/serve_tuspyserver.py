"""tuspyserver in FastAPI: ``PORT FOLDER``."""

import sys

import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router

port, folder = sys.argv[1:]
app = FastAPI()
app.include_router(create_tus_router(prefix="files", files_dir=folder))
uvicorn.run(app, port=int(port), log_level="warning", access_log=False)

"""fastapi-tusd: ``PORT FOLDER``."""

import sys

import uvicorn
from fastapi import FastAPI
from fastapi_tusd import TusRouter

port, folder = sys.argv[1:]
app = FastAPI()
router = TusRouter(store_dir=folder, location=f"http://127.0.0.1:{port}/files", prefix="/files")
app.include_router(router)
uvicorn.run(app, port=int(port), log_level="warning", access_log=False)

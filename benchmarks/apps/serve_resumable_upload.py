"""resumable-upload as an ASGI application: ``PORT FOLDER``."""

import sys

import uvicorn
from resumable_upload import SQLiteStorage, TusServer
from resumable_upload.asgi import TusASGIApp

port, folder = sys.argv[1:]
storage = SQLiteStorage(db_path=f"{folder}/uploads.db", upload_dir=folder)
app = TusASGIApp(TusServer(storage=storage, base_path="/files", cleanup_interval=0))
uvicorn.run(app, port=int(port), log_level="warning", access_log=False)

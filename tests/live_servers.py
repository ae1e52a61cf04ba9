"""Small servers of live video: over HTTP, and over RTSP as a camera of the network does."""

import io
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import processes

_TS = 188  # Bytes of a packet of MPEG-TS; seven of them are one of RTP (RFC 2250)
_SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:video\r\n"


@contextmanager
def http_server(*bodies: bytes, whole: bool = False):
    """Serve one body a request, and yield the address; a request after the last one finds no server.

    Args:
        whole: say how long a body is, as of a file; else it ends when the connection does.
    """
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            body = left.pop(0)
            if whole:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if not left:
                threading.Thread(target=server.shutdown).start()
                server.socket.close()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def endless_server(video: Path):
    """Serve a video as MPEG-TS over and over in its own time, as a camera does; yield the address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for part in _in_time(video, over):
                    self.wfile.write(part)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _in_time(video: Path, over: threading.Event):
    """Yield the parts of an MPEG-TS of the video's frames, repeated until `over`, each frame when it is due."""
    import av

    buffer = io.BytesIO()
    with av.open(str(video)) as read, av.open(buffer, "w", format="mpegts") as out:
        frames = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
        rate = read.streams.video[0].average_rate
        stream = out.add_stream("mpeg2video", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number in count():
            raw = av.VideoFrame.from_ndarray(frames[number % len(frames)], format="rgb24")
            raw.pts, raw.time_base = number, 1 / rate
            out.mux(stream.encode(raw))
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
            if over.wait(float(1 / rate)):
                return


@contextmanager
def rtsp_server(video: bytes):
    """Serve the packets of an MPEG-TS to one client, interleaved in the RTSP connection, and close it."""
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_answer, args=(listening, video))
    thread.start()
    try:
        yield f"rtsp://user:secret@127.0.0.1:{listening.getsockname()[1]}/cam"
    finally:
        listening.close()
        thread.join(processes.SECONDS)


def _answer(listening: socket.socket, video: bytes) -> None:
    client, _ = listening.accept()
    listening.close()
    with client, client.makefile("rb") as lines:
        while request := lines.readline():
            headers = dict(_headers(lines))
            verb = request.split()[0]
            body = _SDP if verb == b"DESCRIBE" else b""
            more = {
                b"OPTIONS": b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
                b"DESCRIBE": b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(body),
                b"SETUP": b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
            }.get(verb, b"Session: 1\r\n")
            client.sendall(b"RTSP/1.0 200 OK\r\nCSeq: " + headers[b"cseq"] + b"\r\n" + more + b"\r\n" + body)
            if verb == b"PLAY":
                for packet in _rtp(video):
                    client.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                return


def _headers(lines):
    while line := lines.readline().strip():
        name, _, value = line.partition(b":")
        yield name.lower(), value.strip()


def _rtp(video: bytes):
    for number, start in enumerate(range(0, len(video), 7 * _TS)):
        yield struct.pack(">BBHII", 0x80, 33, number, number * 300, 1) + video[start : start + 7 * _TS]

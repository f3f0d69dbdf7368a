"""Generated messages, stubs and servicers are importable and speak to each other."""

from __future__ import annotations

from concurrent import futures

import grpc

from tests.graph import echo_pb2, echo_pb2_grpc, word_pb2


class Echo(echo_pb2_grpc.EchoServicer):
    def Say(
        self, request: echo_pb2.SayRequest, context: grpc.ServicerContext
    ) -> echo_pb2.SayResponse:
        return echo_pb2.SayResponse(word=word_pb2.Word(text=request.word.text.upper()))


def test_generated_service_answers_its_generated_client() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    echo_pb2_grpc.add_EchoServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = echo_pb2_grpc.EchoStub(channel).Say(
                echo_pb2.SayRequest(word=word_pb2.Word(text="hello")), timeout=30
            )
    finally:
        server.stop(None)
    assert answer.word.text == "HELLO"
    assert not answer.HasField("heard")

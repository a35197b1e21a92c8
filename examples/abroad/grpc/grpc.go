// Package grpc runs a server and clients of grpc-go: calls of one answer, and streams both ways.
package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	ggrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// service answers with what it was sent, and tells of each call.
type service struct {
	pb.UnimplementedTestServiceServer
	ran func(id string)
}

// UnaryCall implements the service.
func (s service) UnaryCall(_ context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.ran(string(req.GetPayload().GetBody()))
	time.Sleep(50 * time.Millisecond)
	return &pb.SimpleResponse{Payload: req.GetPayload()}, nil
}

// FullDuplexCall implements the service.
func (s service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
			return err
		}
	}
}

// serve is the server: it runs until its process ends.
func serve(ran func(id string)) error {
	l, err := net.Listen("tcp", ":50051")
	if err != nil {
		return err
	}
	server := ggrpc.NewServer()
	pb.RegisterTestServiceServer(server, service{ran: ran})
	return server.Serve(l)
}

func dial() (pb.TestServiceClient, error) {
	conn, err := ggrpc.NewClient("server:50051", ggrpc.WithTransportCredentials(insecure.NewCredentials()))
	return pb.NewTestServiceClient(conn), err
}

func payload(id string) *pb.Payload { return &pb.Payload{Body: []byte(id)} }

// call calls the server once. It reports whether it got the answer.
func call(ctx context.Context, c pb.TestServiceClient, id string, opts ...ggrpc.CallOption) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	res, err := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(id)}, opts...)
	if err != nil {
		return false, nil
	}
	if got := string(res.GetPayload().GetBody()); got != id {
		return true, fmt.Errorf("%s has the answer to %s", id, got)
	}
	return true, nil
}

// converse sends some messages on a stream, and returns an error if what comes back is not the same, in
// order, up to where the stream broke.
func converse(ctx context.Context, c pb.TestServiceClient, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return nil
	}
	const messages = 20
	go func() {
		for i := range messages {
			if stream.Send(&pb.StreamingOutputCallRequest{Payload: payload(fmt.Sprint(id, "/", i))}) != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = stream.CloseSend()
	}()
	for i := 0; ; i++ {
		res, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && i < messages:
			return fmt.Errorf("%s ends well after %d of %d messages", id, i, messages)
		case err != nil:
			return nil
		}
		if got, want := string(res.GetPayload().GetBody()), fmt.Sprint(id, "/", i); got != want {
			return fmt.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

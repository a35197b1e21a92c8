package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"connectrpc.com/connect"
	ggrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Servers that this program can be.
const (
	roleGRPC       = "grpc-go"
	roleConnect    = "connect-go"
	roleController = "controller"
)

// service is behind both libraries: it sends back what a task carries.
type service struct {
	frayv1connect.UnimplementedControllerServiceHandler
}

// SubmitTask implements the service.
func (service) SubmitTask(_ context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
	task := req.GetTask()
	return &frayv1.SubmitTaskResponse{
		Task: &frayv1.Task{TaskId: task.GetTaskId(), Function: task.GetFunction()}, Created: true,
		Result: &frayv1.TaskResult{Value: task.GetPayload()},
	}, nil
}

// grpcService is the service as grpc-go has it, for which Fray generates no code.
var grpcService = ggrpc.ServiceDesc{
	ServiceName: frayv1connect.ControllerServiceName,
	HandlerType: (*frayv1connect.ControllerServiceHandler)(nil),
	Methods: []ggrpc.MethodDesc{{
		MethodName: "SubmitTask",
		Handler: func(srv any, ctx context.Context, decode func(any) error, _ ggrpc.UnaryServerInterceptor) (any, error) {
			req := new(frayv1.SubmitTaskRequest)
			if err := decode(req); err != nil {
				return nil, err
			}
			return srv.(frayv1connect.ControllerServiceHandler).SubmitTask(ctx, req)
		},
	}},
}

// serve is a server until the standard input ends, which is when the process that started it does.
func serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	if *role == roleController {
		c, err := controller.New(controller.Config{Store: store.NewMemory(), ListenAddress: "127.0.0.1:0"})
		if err != nil {
			return err
		}
		if err := c.Listen(ctx); err != nil {
			return err
		}
		go func() {
			<-c.Ready()
			fmt.Println(c.URL()[len("http://"):])
		}()
		return c.Run(ctx)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	if *role == roleGRPC {
		server := ggrpc.NewServer()
		server.RegisterService(&grpcService, service{})
		defer context.AfterFunc(ctx, server.Stop)()
		return server.Serve(listener)
	}
	mux := http.NewServeMux()
	mux.Handle(frayv1connect.NewControllerServiceHandler(service{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func dialGRPC(address string) (call, func() error, error) {
	connection, err := ggrpc.NewClient(address, ggrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
		res := new(frayv1.SubmitTaskResponse)
		return res, connection.Invoke(ctx, frayv1connect.ControllerServiceSubmitTaskProcedure, req, res)
	}, connection.Close, nil
}

func dialConnect(address string) (call, func() error, error) {
	return dialHTTP(address, outgoing.NewTransport())
}

func dialConnectGRPC(address string) (call, func() error, error) {
	transport := outgoing.NewTransport()
	transport.Protocols.SetHTTP1(false)
	transport.Protocols.SetUnencryptedHTTP2(true)
	return dialHTTP(address, transport, connect.WithGRPC())
}

func dialHTTP(address string, transport *http.Transport, options ...connect.ClientOption) (call, func() error, error) {
	client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, "http://"+address, options...)
	return client.SubmitTask, func() error {
		transport.CloseIdleConnections()
		return nil
	}, nil
}

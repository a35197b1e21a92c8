package integration_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// dialGRPC connects grpc-go, which knows nothing of Connect, to a process.
func dialGRPC(t testing.TB, url string) *grpc.ClientConn {
	t.Helper()
	shown := insecure.NewCredentials()
	if *mtls {
		shown = credentials.NewTLS(secure.config.Clone())
	}
	conn, err := grpc.NewClient(host(url), append(grpcRoles(), grpc.WithTransportCredentials(shown))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// A gRPC client that has nothing but the address submits a task and gets its result.
func TestGRPCByReflection(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.worker("w")
	conn := dialGRPC(t, c.url())
	service := reflectService(t, conn, "fray.v1.ControllerService")
	call := func(method, request string) (protoreflect.Message, error) {
		m := service.Methods().ByName(protoreflect.Name(method))
		if m == nil {
			t.Fatalf("reflection shows no %s", method)
		}
		in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		if err := protojson.Unmarshal([]byte(request), in); err != nil {
			t.Fatal(err)
		}
		err := conn.Invoke(t.Context(), "/"+string(service.FullName())+"/"+method, in, out)
		return out, err
	}
	if _, err := call("SubmitTask", `{"job_id": "grpc", "task": {"task_id": "g1", "function": "square", "payload": {"encoding": "json", "data": "Nw=="}}}`); err != nil {
		t.Fatal(err)
	}
	out, err := call("GetTaskResult", `{"task_id": "g1", "max_wait_ms": 20000}`)
	if err != nil {
		t.Fatal(err)
	}
	result := sub(sub(out, "result"), "value")
	if data := result.Get(result.Descriptor().Fields().ByName("data")).Bytes(); string(data) != "49" {
		t.Errorf("got %q", data)
	}
	_, err = call("GetTask", `{"task_id": "nobody"}`)
	if s := status.Convert(err); s.Code() != codes.NotFound || !strings.Contains(s.Message(), "nobody") || len(s.Details()) != 1 {
		t.Errorf("got %v with %v", err, s.Details())
	}
	_, err = call("SubmitTask", `{"job_id": "not valid", "task": {"task_id": "g2", "function": "square"}}`)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
}

func sub(m protoreflect.Message, field string) protoreflect.Message {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(field))).Message()
}

// reflectService asks a server for the description of one of its services.
func reflectService(t testing.TB, conn *grpc.ClientConn, name string) protoreflect.ServiceDescriptor {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if e := res.GetErrorResponse(); e != nil {
			t.Fatalf("reflection of %v: %v", req, e)
		}
		return res
	}
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	known := false
	for _, s := range list.GetListServicesResponse().GetService() {
		known = known || s.GetName() == name
	}
	if !known {
		t.Fatalf("%s is not listed: %v", name, list)
	}
	files := map[string]*descriptorpb.FileDescriptorProto{}
	add := func(res *reflectionpb.ServerReflectionResponse) (missing []string) {
		for _, data := range res.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(data, file); err != nil {
				t.Fatal(err)
			}
			files[file.GetName()] = file
			missing = append(missing, file.GetDependency()...)
		}
		return missing
	}
	missing := add(ask(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	}))
	for len(missing) > 0 {
		next := missing[0]
		missing = missing[1:]
		if files[next] == nil {
			missing = append(missing, add(ask(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: next},
			}))...)
		}
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range files {
		set.File = append(set.File, file)
	}
	var registry *protoregistry.Files
	if registry, err = protodesc.NewFiles(set); err != nil {
		t.Fatal(err)
	}
	descriptor, err := registry.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	return descriptor.(protoreflect.ServiceDescriptor)
}

func TestGRPCHealth(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--session-ttl", shortTTL)
	w := c.worker("w")
	check := func(conn *grpc.ClientConn, service string) healthpb.HealthCheckResponse_ServingStatus {
		res, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetStatus()
	}
	controller, worker := dialGRPC(t, c.url()), dialGRPC(t, w.url)
	for _, test := range []struct {
		conn    *grpc.ClientConn
		service string
	}{
		{controller, ""}, {controller, "fray.v1.ControllerService"}, {worker, ""}, {worker, "fray.v1.WorkerService"},
	} {
		if got := check(test.conn, test.service); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v", test.service, got)
		}
	}
	_, err := healthpb.NewHealthClient(controller).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nobody"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: %v", err)
	}
	reflectService(t, worker, "fray.v1.WorkerService")

	c.controller.kill()
	eventually(t, "a worker without a controller does not serve", func() bool {
		return check(worker, "") == healthpb.HealthCheckResponse_NOT_SERVING
	})
}

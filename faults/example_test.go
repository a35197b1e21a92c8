package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

// Any Connect service can be faulted: here one that shouts, whose second answer gets lost on its
// way.
func Example() {
	const procedure = "/acme.v1.ShoutService/Shout"
	shout := func(_ context.Context, text *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		fmt.Println("handling", text.GetValue())
		return wrapperspb.String(strings.ToUpper(text.GetValue())), nil
	}
	server := httptest.NewServer(connect.NewUnaryHandlerSimple(procedure, shout))
	defer server.Close()

	injector := faults.New(faults.Config{})
	defer injector.Close()
	plan, err := faults.ParsePlan(`
		lost: error(unavailable, "lost on the way") phase=response-in-flight procedure=/acme.v1.* nth=2
		slow: delay(uniform, 1ms, 5ms) side=client probability=0.5
	`)
	if err != nil {
		panic(err)
	}
	if err := injector.Apply(plan); err != nil {
		panic(err)
	}

	client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
		&http.Client{Transport: injector.RoundTripper(server.Client().Transport, "caller")}, server.URL+procedure,
		connect.WithInterceptors(injector.Interceptor("caller")))
	for _, word := range []string{"one", "two"} {
		res, err := client.CallUnary(context.Background(), connect.NewRequest(wrapperspb.String(word)))
		fmt.Println(res != nil, connect.CodeOf(err) == connect.CodeUnavailable)
	}
	fmt.Println("lost:", injector.Status().Rules[0].Fired)
	// Output:
	// handling one
	// true false
	// handling two
	// false true
	// lost: 1
}

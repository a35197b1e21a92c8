// The faulted example is a Connect service into which faults are injected while it runs. It is not
// Fray's: it answers health checks (grpc.health.v1), and serves faults.v1.FaultService beside that.
//
//	go run ./examples/faulted -listen 127.0.0.1:8080
//	echo 'down: error(unavailable, "maintenance") procedure=/grpc.health.v1.Health/Check' > plan
//	fray faults apply plan --ttl 30s --controller http://127.0.0.1:8080
//	curl -d '{}' -H 'Content-Type: application/json' http://127.0.0.1:8080/grpc.health.v1.Health/Check
//
// Whoever reaches the port can inject faults: a service that is not for tests alone asks for a
// credential first, in a middleware around all of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/frayrpc/fray/faults"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	if err := serve(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "faulted:", err)
		os.Exit(1)
	}
}

func serve(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A plan that is applied over the wire ends by itself, after 10 minutes at the latest unless it
	// says otherwise: nobody has to come back to heal the service.
	injector := faults.New(faults.Config{Sides: []faults.Side{faults.Server}})
	defer injector.Close()

	mux := http.NewServeMux()
	// The interceptor injects what a handler would do: errors, delays, crashes.
	mux.Handle(grpchealth.NewHandler(grpchealth.NewStaticChecker(), connect.WithInterceptors(injector.Interceptor("health"))))
	// Around all of it, what a network would do; and the service that takes plans, which no rule reaches.
	handler := faults.WithService(injector)(injector.Handler(mux, "health"))

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

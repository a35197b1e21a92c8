// The serve example is the counter for real: HTTP, a directory of this machine, and beside them
// faults.v1.FaultService, by which scenarios that run in virtual time can be run against it.
//
//	go run ./examples/counter/serve -listen 127.0.0.1:8080 -dir /tmp/counter
//	go run ./examples/counter/simulate --scenario slow-answers --backend live --live-host server=http://127.0.0.1:8080
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/frayrpc/fray/examples/counter"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", ".", "the directory with the number")
	flag.Parse()
	if err := serve(*listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve(address, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	return counter.Serve(ctx, listener, dir)
}

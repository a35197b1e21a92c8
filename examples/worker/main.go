// The worker example starts a worker that can count primes.
//
//	go run ./examples/worker -controller http://127.0.0.1:7070
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/frayrpc/fray/examples/tasks"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
)

func main() {
	controller := flag.String("controller", "http://127.0.0.1:7070", "the controller's URL")
	id := flag.String("id", "example", "the worker's name")
	flag.Parse()
	if err := run(*controller, *id); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(controller, id string) error {
	// The first signal drains the worker: what it runs may end.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w, err := worker.New(worker.Config{
		ControllerURL: controller,
		ID:            id,
		Functions:     []fray.Function{tasks.Primes},
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

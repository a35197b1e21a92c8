// The controller example starts a controller in a program of your own.
//
//	go run ./examples/controller -listen 127.0.0.1:7070
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:7070", "where to listen")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	records := store.NewMemory()
	defer records.Close()
	c, err := controller.New(controller.Config{
		Store:         records,
		ListenAddress: listen,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	if err := c.Listen(ctx); err != nil {
		return err
	}
	fmt.Println("controller listens on", c.URL())
	return c.Run(ctx)
}

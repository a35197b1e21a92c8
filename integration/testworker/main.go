// Command testworker is a worker that executes the functions of integration/tasks. Its first line
// on the standard output is "listening on URL"; its log goes to the standard error. SIGTERM and
// SIGINT drain it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/integration/tasks"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testworker:", err)
		os.Exit(1)
	}
}

func run() error {
	config := worker.Config{Labels: map[string]string{}, Resources: map[string]int64{}}
	var functions, listen string
	flag.StringVar(&config.ControllerURL, "controller", "", "base `URL` of the controller")
	flag.StringVar(&config.ID, "id", "", "id of the worker")
	flag.IntVar(&config.Slots, "slots", 1, "attempts at once")
	flag.IntVar(&config.MaxPrefetch, "max-prefetch", 0, "attempts that wait for a slot at most; negative: none")
	flag.DurationVar(&config.StopGrace, "stop-grace", 0, "how long a stopped attempt may take")
	flag.DurationVar(&config.DrainGrace, "drain-grace", 0, "how long attempts may go on once the worker leaves")
	flag.StringVar(&config.TLS.Cert, "tls-cert", "", "as of fray worker")
	flag.StringVar(&config.TLS.Key, "tls-key", "", "as of fray worker")
	flag.StringVar(&config.TLS.ClientCA, "tls-client-ca", "", "as of fray worker")
	flag.StringVar(&config.TLS.CA, "ca", "", "as of fray worker")
	flag.BoolFunc("http3", "as of fray worker", func(string) error {
		config.HTTP3 = h3.Dial
		return nil
	})
	var accessFile, tokenFile string
	flag.StringVar(&accessFile, "access-file", "", "as of fray worker")
	flag.StringVar(&tokenFile, "token-file", "", "as of fray worker, with one token")
	flag.StringVar(&listen, "listen", "127.0.0.1:0", "where to listen")
	flag.StringVar(&functions, "functions", "", "`names` of the functions to have, by commas; empty: all")
	flag.Func("label", "a label, as `name=value`; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("must be name=value")
		}
		config.Labels[name] = value
		return nil
	})
	flag.Func("resource", "a resource, as `name=amount`; may be repeated", func(s string) error {
		name, value, _ := strings.Cut(s, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		config.Resources[name] = n
		return err
	})
	flag.Parse()

	config.Functions = tasks.All()
	if functions != "" {
		names := strings.Split(functions, ",")
		config.Functions = slices.DeleteFunc(config.Functions, func(f fray.Function) bool { return !slices.Contains(names, f.Name()) })
	}
	registry := prometheus.NewRegistry()
	config.Registerer, config.Gatherer = registry, registry
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))

	if accessFile != "" {
		var err error
		if config.Access, err = access.Follow(config.Logger, accessFile); err != nil {
			return err
		}
	}
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			return err
		}
		config.Token = strings.TrimSpace(string(token))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var lc net.ListenConfig
	var err error
	if config.Listener, err = lc.Listen(ctx, "tcp", listen); err != nil {
		return err
	}
	w, err := worker.New(config)
	if err != nil {
		return err
	}
	scheme := "http"
	if config.TLS.Cert != "" {
		scheme = "https"
	}
	fmt.Printf("listening on %s://%s\n", scheme, config.Listener.Addr())
	return w.Run(ctx)
}

package main

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
)

// cluster is a controller and a worker in this process.
type cluster struct {
	url   string
	stops []func() error // what ends its parts, the last one first
}

// startCluster starts one, which keeps all in memory and listens on this machine only.
func startCluster(ctx context.Context) (*cluster, error) {
	k := &cluster{}
	if err := k.start(ctx); err != nil {
		return nil, errors.Join(err, k.stop())
	}
	return k, nil
}

func (k *cluster) start(ctx context.Context) error {
	records := store.NewMemory()
	k.stops = append(k.stops, records.Close)
	c, err := controller.New(controller.Config{Store: records, ListenAddress: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	if err := c.Listen(ctx); err != nil {
		return err
	}
	k.url = c.URL()
	k.stops = append(k.stops, inBackground(ctx, c.Run))
	w, err := worker.New(worker.Config{
		ControllerURL: k.url, ID: "wordcount", Functions: words.Functions(), DrainGrace: -1,
	})
	if err != nil {
		return err
	}
	k.stops = append(k.stops, inBackground(ctx, w.Run))
	return nil
}

// stop ends the worker, then the controller, and waits for both.
func (k *cluster) stop() error {
	var all []error
	for i := len(k.stops) - 1; i >= 0; i-- {
		all = append(all, k.stops[i]())
	}
	return errors.Join(all...)
}

// inBackground runs what ends when its context is done, and returns what ends it. It outlives ctx,
// so that a client that gives up can still tell that.
func inBackground(ctx context.Context, run func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

package main

import (
	"cmp"
	"context"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// simulate returns a caller that makes each call in a simulation of its own, to a server there.
func simulate(mode, seen string) caller {
	return func(_ context.Context, req *conformancev1.ClientCompatRequest) (result *conformancev1.ClientResponseResult, err error) {
		ended := bubble.Run(func() {
			a, adaptErr := newAdapters(mode)
			if err = adaptErr; err != nil {
				return
			}
			defer a.close()
			s := sim.New(sim.Config{Seed: 1})
			s.Host(serverHost, func(ctx context.Context, h *sim.Host) error {
				h.Serve(newHandler(a, req.GetMessageReceiveLimit()))
				<-ctx.Done()
				return nil
			})
			s.Client(clientHost, func(ctx context.Context, h *sim.Host) error {
				var err error
				result, err = call(ctx, req, a.transport(h.Client(), clientHost), "http://"+serverHost, a)
				return err
			})
			err = cmp.Or(s.Run(), s.Close(), a.tell("sim", seen))
		})
		return result, cmp.Or(err, ended)
	}
}

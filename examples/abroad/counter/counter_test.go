package counter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/order"
	"github.com/frayrpc/fray/sim/simtest"
)

// What was acknowledged is counted, whatever happens to the machine, and nothing is counted that nobody
// asked for.
func TestCounter(t *testing.T) {
	abroad.Check(t, "counter", sim.Config{}, func(s *sim.Sim) error {
		s.Host("counter", func(context.Context, *sim.Host) error { return Serve(":80", "/var/lib/counter") })
		asked, acknowledged, last := 0, 0, 0
		for i := range 3 {
			s.Client(fmt.Sprint("client", i), func(context.Context, *sim.Host) error {
				for range 40 {
					abroad.Tell(func() { asked++ })
					if n, err := ask("POST", "/add"); err == nil {
						abroad.Tell(func() {
							acknowledged++
							last = max(last, n)
						})
					}
					time.Sleep(100 * time.Millisecond)
				}
				return nil
			})
		}
		chance := s.Rand("faults")
		for i := range 4 {
			at := time.Duration(i)*2*time.Second + time.Duration(chance.Int64N(int64(time.Second)))
			harm := s.Crash
			if chance.IntN(2) == 0 {
				harm = s.PowerOff
			}
			s.At(at, func() { harm("counter") })
			s.At(at+500*time.Millisecond, func() { s.Bounce("counter") })
		}
		if err := s.Run(); err != nil {
			return err
		}
		if err := s.RunFor(10 * time.Second); err != nil { // For the last start.
			return err
		}
		count := 0
		s.Client("auditor", func(context.Context, *sim.Host) (err error) {
			count, err = ask("GET", "/count")
			return err
		})
		if err := s.Run(); err != nil {
			return err
		}
		if count < acknowledged || count < last || count > asked {
			return fmt.Errorf("it counts %d of %d additions, %d of which were acknowledged, the last as the %dth", count, asked, acknowledged, last)
		}
		return nil
	})
}

// The same by scenarios in files.
func TestScenarios(t *testing.T) {
	if !order.Followed() {
		t.Skip("goroutines do not follow the seed: run this with fray-sim test")
	}
	simtest.Test(t, Subject(), Scenarios())
}

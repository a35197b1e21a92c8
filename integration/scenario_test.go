package integration_test

import "testing"

// scenario is one thing that holds end to end.
type scenario struct {
	name string
	// protects is what a user loses when it does not hold.
	protects string
	// controller are arguments of the controller that it runs with. Unused with a shared cluster.
	controller []string
	run        func(t *testing.T, c *cluster)
}

// play runs each scenario on a controller of its own.
func play(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.perform(t, newCluster(t, s.controller...))
		})
	}
}

// playOn runs all scenarios on one cluster.
func playOn(t *testing.T, c *cluster, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.perform(t, c.in(t))
		})
	}
}

func (s scenario) perform(t *testing.T, c *cluster) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("protects: %s", s.protects)
		}
	}()
	s.run(t, c)
}

package fray

import (
	"testing"

	"github.com/frayrpc/fray/fray/core"
)

// A task that is submitted without options is tried again as one whose policy says nothing.
func TestDefaultsAreThoseOfTheController(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what               string
		client, controller any
	}{
		{"backoff base", defaultBackoffBase, core.DefaultBackoffBase},
		{"backoff factor", float64(defaultBackoffFactor), core.DefaultBackoffFactor},
		{"backoff cap", defaultBackoffCap, core.DefaultBackoffCap},
		{"jitter", backoffJitter, core.DefaultBackoffJitter},
	} {
		if c.client != c.controller {
			t.Errorf("%s: a client has %v, the controller %v", c.what, c.client, c.controller)
		}
	}
}

package process_test

import (
	"runtime"
	"testing"

	"github.com/frayrpc/fray/sim/cluster/chaos"
	"github.com/frayrpc/fray/sim/cluster/process"
	"github.com/frayrpc/fray/sim/scenario"
)

// Random scenarios for processes are ones that processes can run.
func TestChaosIsSuitable(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only there each host has an address of its own, which many faults on messages need")
	}
	for seed := range uint64(500) {
		s, err := chaos.Draw(seed, chaos.Options{Backend: scenario.BackendProcess})
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Suitable(s, process.DefaultMaxWall); err != nil {
			text, _ := s.Marshal()
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

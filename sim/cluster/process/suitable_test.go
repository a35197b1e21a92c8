package process_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/cluster/process"
	"github.com/frayrpc/fray/sim/scenario"
)

// What processes cannot do is refused, with the fault that asks for it.
func TestUnsuitableScenarios(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"":                         small,
		"topology.network.loss":    strings.Replace(small, "workers:", "network: {loss: 1%}\n  workers:", 1),
		"topology.network.latency": strings.Replace(small, "workers:", "network: {latency: {min: 1ms, mean: 2ms}}\n  workers:", 1),
		"it has 203 hosts":         strings.Replace(small, "count: 2, slots", "count: 201, slots", 1),
		"it heals at 2m0s, and a run may take 1m0s": small + "heal: {at: 2m}\n",
		"its last tasks come at 1m20s":              strings.Replace(small, "20/s", "30/m", 1),
		"fault f strikes the client client-1": small +
			"faults: [{id: f, when: {at: 1s}, action: {pause: {target: client-1, for: 1s}}}]\n",
		"fault f strikes the client": small +
			"faults: [{id: f, match: {procedure: SubmitTasks, phase: request-before-send}, action: {pause: {for: 1s}}}]\n",
		"fault f pauses a host in the middle of the controller's work": small +
			"faults: [{id: f, match: {phase: after-handler}, action: {pause: {target: controller, for: 1s}}}]\n",
		"fault f strikes worker-1 in the middle": small +
			"faults: [{id: f, match: {phase: after-handler}, action: {crash: {target: worker-1}}}]\nheal: {at: 5s}\n",
		"fault f takes something from a host's disk": durable +
			"faults: [{id: f, when: {at: 1s}, action: {restart: {target: controller, disk: power-loss}}}]\n",
		"fault f puts the machine of a host to sleep": small + "faults: [{id: f, when: {at: 1s}, action: {suspend: {target: controller, for: 1s}}}]\n",
		"fault f fills a host's disk":                 durable + "faults: [{id: f, when: {at: 1s}, action: {diskFull: {for: 1s}}}]\n",
		"fault f waits for commit-synced": durable +
			"faults: [{id: f, when: {on: {event: commit-synced}}, action: {restart: {target: controller}}}]\n",
	} {
		err := process.Suitable(parse(t, text), time.Minute)
		var unsuitable *scenario.UnsuitableError
		switch {
		case want == "":
			if err != nil {
				t.Errorf("refused: %v", err)
			}
		case !errors.As(err, &unsuitable) || !strings.Contains(err.Error(), want):
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := run(t.Context(), t, parse(t, strings.Replace(small, "[sim, process]", "[sim]", 1)), "fray")
	if err == nil || !strings.Contains(err.Error(), "add process there") {
		t.Errorf("got %v", err)
	}
}

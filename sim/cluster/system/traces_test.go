package system_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
)

// pinnedHashes has what the trace of each scenario comes to under each of the first seeds: however
// many processors there are, and whether the race detector runs. A line is a scenario, a seed, and
// the hash.
const pinnedHashes = "testdata/hashes.txt"

// pinnedSeeds is how many seeds of a scenario are pinned. Of the one that takes long it is one.
const pinnedSeeds = 20

var allSeeds = flag.Bool("all-seeds", false, "compare the traces of all seeds that are pinned, and not of the first alone")

// traceOf names a run.
type traceOf struct {
	scenario string
	seed     uint64
}

// What changes nothing that is done leaves every trace as it was.
func TestTracesAreAsTheyWere(t *testing.T) {
	if !*allSeeds {
		t.Skip("compares what TestLibraryPassesAndRepeats does not, with -all-seeds")
	}
	pinned := readHashes(t)
	hashes := map[traceOf]string{}
	for _, name := range cluster.List() {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= pinnedSeeds && (seed == 1 || name != "long-soak"); seed++ {
				of := traceOf{name, seed}
				hashes[of] = fmt.Sprintf("%016x", run(t, load(t, name), seed, system.Options{}).Hash)
				checkHash(t, pinned, of, hashes[of])
			}
		})
	}
	updateHashes(t, pinned, hashes)
}

func checkHash(t *testing.T, pinned map[traceOf]string, of traceOf, hash string) {
	t.Helper()
	// Processors that multiply and add in one step round otherwise, and so draw other times.
	if was := pinned[of]; !*update && was != hash && runtime.GOARCH == "amd64" {
		t.Errorf("seed %d: the trace's hash is %s, and %s in %s; if what fray or the simulator does was meant to change, or the scenario did,\n"+
			"make traces UPDATE=1 rewrites it; if the race detector alone says so, a run depends on who is first",
			of.seed, hash, cmp.Or(was, "none"), pinnedHashes)
	}
}

// readHashes returns the pinned hashes.
func readHashes(t *testing.T) map[traceOf]string {
	t.Helper()
	text, err := os.ReadFile(pinnedHashes)
	if err != nil && !*update {
		t.Fatal(err)
	}
	pinned := map[traceOf]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("%s: line %q: want a scenario, a seed and a hash", pinnedHashes, line)
		}
		seed, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			t.Fatalf("%s: line %q: %v", pinnedHashes, line, err)
		}
		pinned[traceOf{fields[0], seed}] = fields[2]
	}
	return pinned
}

// updateHashes writes hashes, if that is asked for, and those of scenarios that are still there.
func updateHashes(t *testing.T, pinned, hashes map[traceOf]string) {
	t.Helper()
	if !*update {
		return
	}
	maps.Copy(pinned, hashes) // A part of the tests may have been run.
	all := slices.SortedFunc(maps.Keys(pinned), func(a, b traceOf) int {
		return cmp.Or(strings.Compare(a.scenario, b.scenario), cmp.Compare(a.seed, b.seed))
	})
	var b strings.Builder
	for _, of := range all {
		if slices.Contains(cluster.List(), of.scenario) {
			fmt.Fprintf(&b, "%s %d %s\n", of.scenario, of.seed, pinned[of])
		}
	}
	if err := os.WriteFile(pinnedHashes, []byte(b.String()), 0o644); err != nil { // It is committed.
		t.Fatal(err)
	}
}

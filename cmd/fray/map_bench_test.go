//go:build linux

package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// benchCommands is how many commands each run of BenchmarkMapBesideXargs has.
const benchCommands = 2000

// BenchmarkMapBesideXargs runs true 2,000 times, two at once, by xargs and by map with a controller and
// workers of its own, in turn. CPU time is that of all processes, the commands included; start and end
// of map are part of it.
func BenchmarkMapBesideXargs(b *testing.B) {
	if _, err := exec.LookPath("xargs"); err != nil {
		b.Skip("there is no xargs")
	}
	inputs := strings.Repeat("x\n", benchCommands)
	var wall, cpu [2]time.Duration
	runs := 0
	for b.Loop() {
		runs++
		for i, argv := range [][]string{{"xargs", "-P2", "-n1", "true"}, {"fray", "map", "--workers", "2", "--slots", "1", "--", "true"}} {
			cmd := exec.CommandContext(b.Context(), argv[0], argv[1:]...) // From the list.
			cmd.Stdin = strings.NewReader(inputs)
			begun := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %v: %s", argv, err, out)
			}
			wall[i] += time.Since(begun)
			cpu[i] += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(runs*benchCommands) }
	b.ReportMetric(0, "ns/op") // It is of both together.
	b.ReportMetric(each(cpu[0]), "xargs-cpu-us/command")
	b.ReportMetric(each(cpu[1]), "map-cpu-us/command")
	b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "map/xargs-cpu")
	b.ReportMetric(each(wall[0]), "xargs-us/command")
	b.ReportMetric(each(wall[1]), "map-us/command")
	b.ReportMetric(float64(wall[1])/float64(wall[0]), "map/xargs-time")
}

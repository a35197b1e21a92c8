//go:build race

package scenario_test

// underRace says that the race detector runs, which takes ten times as long.
const underRace = true

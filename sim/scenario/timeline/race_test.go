//go:build race

package timeline_test

// underRace says that the race detector runs, which breaks when processors come and go.
const underRace = true

// Package race tells tests whether the race detector runs: they take ten times as long and several
// times the memory then, and the detector breaks when the number of processors changes.
package race

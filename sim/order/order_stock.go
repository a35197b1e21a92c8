//go:build !frayoverlay

package order

const followed = false

func next(uint64) {}

func begin(uint64) bool { return false }

func count() Stats { return Stats{} }

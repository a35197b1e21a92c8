//go:build !frayoverlay

package order

const followed = false

func next(uint64) {}

func begin(uint64) bool { return false }

func count() Stats { return Stats{} }

func adopt(uint64) {}

func host() uint64 { return 0 }

func stop(uint64) bool { return false }

func connect(Network) {}

func mount(Disk) {}

package attempt

// Progress is how far an attempt says that it is.
type Progress struct {
	// Share is from 0 to 1, if it is Known.
	Share   float64
	Known   bool
	Message string
}

// ProgressTo takes what an attempt says of itself; [WithInfo] passes it on. It may be called by several
// goroutines, and does not wait.
type ProgressTo func(Progress)

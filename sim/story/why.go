package story

import "io"

// A Why is why.
type Why struct{}

func (y *Why) Write(w io.Writer) {}

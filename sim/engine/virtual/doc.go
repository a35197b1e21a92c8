// Package virtual runs scenarios of a subject on package sim: software on simulated hosts and
// links, in virtual time. [Run] gives the same run for the same seed, and [Verify] makes sure of
// that.
package virtual

// Package shrink makes a failing scenario small: it takes away faults, hosts, work, time and loss for
// as long as a run under the same seed fails in the same way.
//
// First, what was left to chance is pinned: a fault that acted upon three of a thousand messages
// becomes three faults that act upon one each, and a fault that chose its victims strikes them at
// the instants at which it did. Then whole parts go, the largest first, as in delta debugging
// (Zeller and Hildebrandt, 2002), and then numbers get smaller. What is left is a scenario of which
// nothing that was tried can be taken away.
package shrink

// Package database is what several simulated controllers share: a database with one seat, on a host
// of its own, which they call over the simulated network. It makes the promises of lead.Database,
// and breaks none, however unpleasant that is:
//
//   - a change waits for whoever changes the seat, and then for the sync, and only then is it seen;
//     what came of it its caller may never hear;
//   - a lazy commit is seen at once, and gone with the next failover, maybe;
//   - after a crash what was being synced is there, or not;
//   - after a failover the standby has what was acknowledged, and by chance some of the rest. Some
//     callers reach the database that was replaced for a while. It still answers what is read, and
//     takes what is lazy, and acknowledges nothing else.
//
// [Server] is the software of the host, [Disk] what its next incarnation finds, and [Client] what a
// controller has.
package database

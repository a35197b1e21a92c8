// Package execfn is a function that runs a program of the worker's machine.
//
//	w, err := worker.New(worker.Config{Functions: []fray.Function{execfn.Task}, ...})
//
//	out, err := execfn.Task.Call(ctx, execfn.Command{Argv: []string{"wc", "-c"}, Stdin: []byte("hello")})
//
// A worker that has it lets everybody who can submit tasks run anything as the worker's user, unless
// its [Config] says who, what and how much. Of the worker's environment, commands see PATH, HOME,
// USER, LOGNAME, SHELL, LANG, LC_*, TZ and TMPDIR, and what Config.PassEnv adds.
//
// # Bytes
//
// Arguments, environment, directory, input and outputs are bytes, and arrive as they are. In JSON,
// a text that is valid UTF-8 is a string; any other is an object with its bytes in base64, which
// may stand for every text of a [Command]:
//
//	{"argv": ["cat", {"base64": "Y2Fm6S50eHQ="}]}
//
// A JSON string that stands for no text, because it has bytes that are not UTF-8 or half of a
// surrogate pair, is refused.
//
// # How a program ends
//
// A task ends when its program has ended and all that hold its outputs have closed them: the
// program's children, too. This is how a pipe behind xargs, and how GNU parallel takes it, so that
// no output is lost. A program that leaves a process which keeps the outputs open therefore
// occupies its slot until that one ends, or the attempt is stopped or runs past its timeout; after
// ten seconds [Config].Logger tells of it. A daemon has to let go of them (prog >/dev/null 2>&1 &).
//
// The program leads a session of its own, without a terminal: what asks for one, as ssh and sudo do
// for a password, fails at once in place of waiting for ever. When the attempt is stopped or runs
// past its timeout, the program's process group and, on Linux, all that descends from it or holds
// its outputs get SIGTERM, and SIGKILL two seconds later. When the task ends by itself, what is
// left of the group gets SIGKILL, so that nothing outlives its task but what has left the group as
// well as the outputs; with [Config].Cgroup, nothing does. If the worker itself is killed, so is the program, but on Linux only, and
// not what the program started. On systems other than Unix only the program itself is killed.
//
// # What is kept
//
// Of each output the beginning is kept, and if there is more the end; see [Result]. A failure
// carries them, too: [OutputOf]. Both outputs together are kept to [MaxResultBytes], so that the
// encoded result is one that a controller takes by default.
//
// # Failures
//
// A program that ends with another exit code than 0 fails with an [ExitError]. One that cannot be
// started for a reason that passes (no memory, too many processes or open files) is tried again for
// [StartPatience], as is one that cannot get its control group; then the attempt is handed back, which costs the task nothing, but a few times
// only. One whose file is being written is tried again for [BusyPatience], and then fails. A script
// that does not name its interpreter is run by /bin/sh. One that Config.Programs does not allow fails
// for good.
package execfn

package cluster

import "time"

// Facts is what expressions can say something about. They are what clients and workers saw, not
// what the controller says of itself. Each field is a variable.
type Facts struct {
	Tasks    TaskFacts            `cel:"tasks" json:"tasks" doc:"All tasks that clients submitted."`
	Kinds    map[string]TaskFacts `cel:"kinds" json:"kinds" doc:"The same for each kind of task, by its name."`
	Failures FailureFacts         `cel:"failures" json:"failures" doc:"Failed tasks by the reason of their failure."`
	Attempts AttemptFacts         `cel:"attempts" json:"attempts" doc:"Executions of functions on workers."`
	Reports  ReportFacts          `cel:"reports" json:"reports" doc:"Terminal reports of workers, by the controller's verdict."`
	Sessions SessionFacts         `cel:"sessions" json:"sessions" doc:"Sessions of workers."`
	Hosts    HostFacts            `cel:"hosts" json:"hosts" doc:"What happened to hosts."`
	Calls    map[string]int       `cel:"calls" json:"calls" doc:"Calls of clients to the controller by their procedure, such as WatchJob, each repetition counted. Those that were never made are 0."`
	Reads    ReadFacts            `cel:"reads" json:"reads" doc:"What an operator asks while the controller's disk is full: tasks, workers and totals."`
	Visits   VisitFacts           `cel:"visits" json:"visits" doc:"What visitors ask."`
	Faults   map[string]int       `cel:"faults" json:"faults" doc:"How often each fault acted, by its id."`
	Times    TimeFacts            `cel:"times" json:"times" doc:"When things happened, from the start of the run in virtual time."`
}

// TaskFacts counts tasks.
type TaskFacts struct {
	Submitted int `cel:"submitted" json:"submitted" doc:"Tasks whose submission was accepted, as far as the client knows."`
	Open      int `cel:"open" json:"open" doc:"Those of them whose end the client does not know yet."`
	Completed int `cel:"completed" json:"completed" doc:"Those that ended with a value."`
	Failed    int `cel:"failed" json:"failed" doc:"Those that ended without."`
	Cancelled int `cel:"cancelled" json:"cancelled" doc:"Those that were cancelled."`
	Lost      int `cel:"lost" json:"lost" doc:"Those that the controller no longer knows."`
	Refused   int `cel:"refused" json:"refused" doc:"Tasks whose submission failed for good."`
	Found     int `cel:"found" json:"found" doc:"Tasks in whose place there was another, which had their key."`
	Unsent    int `cel:"unsent" json:"unsent" doc:"Tasks whose submission has not been accepted yet."`
}

// FailureFacts counts failed tasks by reason.
type FailureFacts struct {
	Application       int `cel:"application" json:"application" doc:"The function returned an error."`
	Timeout           int `cel:"timeout" json:"timeout" doc:"The last attempt ran past the execution timeout."`
	WorkerLost        int `cel:"workerLost" json:"worker_lost" doc:"Too many workers died of it."`
	SchedulingTimeout int `cel:"schedulingTimeout" json:"scheduling_timeout" doc:"It did not start in time."`
	Undecodable       int `cel:"undecodable" json:"undecodable" doc:"Its input could not be decoded, or its result not be encoded."`
	ActorRestarted    int `cel:"actorRestarted" json:"actor_restarted" doc:"It is a call that was handed to an incarnation of its actor which is gone."`
	ActorDead         int `cel:"actorDead" json:"actor_dead" doc:"It is a call, and its actor was dead."`
}

// AttemptFacts counts executions.
type AttemptFacts struct {
	Leased    int `cel:"leased" json:"leased" doc:"Attempts that workers were granted, each counted once."`
	Started   int `cel:"started" json:"started" doc:"Functions that started."`
	Succeeded int `cel:"succeeded" json:"succeeded" doc:"Functions that returned a value."`
	Failed    int `cel:"failed" json:"failed" doc:"Functions that returned an error."`
	Vanished  int `cel:"vanished" json:"vanished" doc:"Functions that neither returned nor run: their worker died."`
	Repeated  int `cel:"repeated" json:"repeated" doc:"Started attempts beyond the first of each task."`
	MostOfOne int `cel:"mostOfOne" json:"most_of_one" doc:"The most started attempts that one task has."`
}

// ReportFacts counts verdicts on terminal reports.
type ReportFacts struct {
	Accepted  int `cel:"accepted" json:"accepted" doc:"Those that counted."`
	Duplicate int `cel:"duplicate" json:"duplicate" doc:"Those that had been accepted before."`
	Stale     int `cel:"stale" json:"stale" doc:"Those whose attempt is no longer the current one."`
}

// SessionFacts counts sessions.
type SessionFacts struct {
	Opened int `cel:"opened" json:"opened" doc:"Sessions that workers got."`
	Lost   int `cel:"lost" json:"lost" doc:"Sessions of which a worker was told that they are over."`
}

// HostFacts counts what happened to hosts.
type HostFacts struct {
	Crashed   int `cel:"crashed" json:"crashed" doc:"Crashes."`
	Restarts  int `cel:"restarts" json:"restarts" doc:"Those of them that were the controller's, which starts again after each."`
	Stopped   int `cel:"stopped" json:"stopped" doc:"Hosts that were told to leave, or drained, and ended by themselves."`
	Failed    int `cel:"failed" json:"failed" doc:"Hosts that ended with an error while their disk failed."`
	Paused    int `cel:"paused" json:"paused" doc:"Pauses, and machines that slept."`
	Elections int `cel:"elections" json:"elections" doc:"How often another time of leading began, of controllers that share a database, after the first."`
	Backups   int `cel:"backups" json:"backups" doc:"Backups that the controller made."`
}

// ReadFacts counts what an operator asks.
type ReadFacts struct {
	Answered int `cel:"answered" json:"answered" doc:"Calls that were answered within a second."`
	Failed   int `cel:"failed" json:"failed" doc:"Calls that were not, or that failed."`
}

// VisitFacts counts what visitors ask.
type VisitFacts struct {
	Answered int `cel:"answered" json:"answered" doc:"Calls that were answered."`
	Failed   int `cel:"failed" json:"failed" doc:"Calls that were refused or failed."`
	Left     int `cel:"left" json:"left" doc:"Calls that were open when the visitor left."`
	Flooded  int `cel:"flooded" json:"flooded" doc:"Tasks that visitors have submitted."`
	Forged   int `cel:"forged" json:"forged" doc:"Calls with lease tokens that were given to others."`
}

// TimeFacts is when things happened.
type TimeFacts struct {
	Now       time.Duration `cel:"now" json:"now_ns" doc:"How long the run has taken."`
	Healed    time.Duration `cel:"healed" json:"healed_ns" doc:"When everything was put right; 0 before."`
	LastEnd   time.Duration `cel:"lastEnd" json:"last_end_ns" doc:"When a client last learned of a task's end."`
	Slowest   time.Duration `cel:"slowest" json:"slowest_ns" doc:"The longest time from the submission of a task to its end."`
	Median    time.Duration `cel:"median" json:"median_ns" doc:"The median of these times; 0 before the end."`
	Recovered time.Duration `cel:"recovered" json:"recovered_ns" doc:"The longest time from a crash or pause of a worker to the end of the last task that it held."`
}

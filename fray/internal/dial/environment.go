package dial

// Variables of the environment by which programs are told where they belong, beside the token's.
const (
	// ControllerVariable has the address of the controller.
	ControllerVariable = "FRAY_CONTROLLER_ADDRESS"
	// WorkerIDVariable has the id of the worker that is started.
	WorkerIDVariable = "FRAY_WORKER_ID"
	// JobLeaseVariable names the job that the worker is there for, JobLeaseTTLVariable the time for
	// which no client must have watched it before the worker leaves.
	JobLeaseVariable    = "FRAY_JOB_LEASE"
	JobLeaseTTLVariable = "FRAY_JOB_LEASE_TTL"
)

package cluster_test

import (
	"fmt"

	"github.com/frayrpc/fray/sim/cluster"
)

// Parse tells of all mistakes in a file at once, each with its place, its line and a suggestion.
func ExampleParse() {
	_, err := cluster.Parse("crash.yaml", []byte(`
apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: crash, summary: A report gets lost.}
topology: {workers: [{name: worker, count: 3}]}
workload: {clients: [{name: client, tasks: 40}]}
faults:
  - id: lost-report
    match: {procedure: ReportTask, phase: request-in-flight}
    action: {drop: {}}
expect:
  finally:
    - {that: tasks.complete == 40}
`))
	fmt.Println(err)
	// Output:
	// crash.yaml:9:24: there is no procedure "ReportTask"
	//   9 |     match: {procedure: ReportTask, phase: request-in-flight}
	//     |                        ^ did you mean ReportTasks?
	// crash.yaml:13:19: tasks has no field complete
	//   13 |     - {that: tasks.complete == 40}
	//      |                   ^ did you mean completed?
}

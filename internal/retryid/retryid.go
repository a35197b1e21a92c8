// Package retryid knows the ids of retries: those of the tasks that are retried, and a mark with the name of the retry.
package retryid

import (
	"regexp"
	"strings"
)

const mark = "/retry-"

var name = regexp.MustCompile(`^[A-Za-z0-9]{1,16}$`)

// IsName says whether a retry may have a name.
func IsName(s string) bool { return name.MatchString(s) }

// Of returns the id of a retry of a task, which may be a retry itself.
func Of(task, name string) string { return First(task) + mark + name }

// First returns the id of the task that a retry is of; that of a task which is none is its own.
func First(task string) string {
	if at := strings.LastIndex(task, mark); at > 0 && IsName(task[at+len(mark):]) {
		return task[:at]
	}
	return task
}

// The worker example of wordcount is a worker that counts words. It has the options of "fray
// worker".
//
//	go run ./examples/wordcount/worker --controller http://127.0.0.1:7070
package main

import (
	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray/worker/workermain"
)

func main() { workermain.Main(words.Functions()...) }

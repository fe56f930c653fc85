// Prints what it was given and greets the value of "key".
package main

import (
	"context"
	"fmt"

	"../library"
)

type event struct {
	Key string `json:"key"`
}

func hello(ctx context.Context, event event) (map[string]string, error) {
	fmt.Println("event:", event)
	return map[string]string{"hello": event.Key}, nil
}

func main() { library.Start(hello) }

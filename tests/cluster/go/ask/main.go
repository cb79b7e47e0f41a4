// Command ask sends one HTTP request over a Unix socket, as any client of the agent might: ask SOCKET METHOD PATH [BODY].
// It prints the status and the body, and ends with 0 whatever was answered.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "ask SOCKET METHOD PATH [BODY]")
		os.Exit(2)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Args[1])
	}
	body := strings.NewReader(strings.Join(os.Args[4:], " "))
	request, err := http.NewRequest(os.Args[2], "http://agent"+os.Args[3], body)
	if err == nil {
		client := http.Client{Transport: &http.Transport{DialContext: dial}}
		var answer *http.Response
		if answer, err = client.Do(request); err == nil {
			fmt.Println(answer.StatusCode)
			_, err = io.Copy(os.Stdout, answer.Body)
			fmt.Println()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
}

// Package curl is a curl for tests, so that they need none: the binary of a test is
// curl where it is called by that name. It has the flags that our pages and scripts
// use and knows no others, so that an example which needs more does not pass by
// chance. It reaches servers on this machine alone.
package curl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Name is the name of the program.
const Name = "curl"

// Called reports whether this process is to be curl.
func Called() bool { return filepath.Base(os.Args[0]) == Name }

// problem is an error with curl's exit code.
type problem struct {
	code int
	err  error
}

func (p *problem) Error() string { return p.err.Error() }

// failed returns an error with an exit code, nil for nil.
func failed(code int, err error) error {
	if err == nil {
		return nil
	}
	return &problem{code, err}
}

// The exit codes of curl.
const (
	badUsage    = 2
	badURL      = 3
	unreachable = 7
	notWritten  = 23
	notRead     = 26
	noAnswer    = 56
)

// call is one call.
type call struct {
	method, body  string
	hasBody       bool
	header        http.Header
	url           string
	include       bool   // the header goes to standard output
	output, dumps string // files for body and header
	format        string // of what is written behind the body
}

// Main is the main function of curl; it returns the exit code.
func Main(args []string, out, problems io.Writer) int {
	c := &call{header: http.Header{}}
	err := c.parse(args)
	if err == nil {
		err = c.run(out)
	}
	if p, ok := errors.AsType[*problem](err); ok {
		fmt.Fprintln(problems, "curl:", err)
		return p.code
	}
	return 0
}

func (c *call) parse(args []string) error {
	for len(args) > 0 {
		flag, value := args[0], ""
		args = args[1:]
		switch {
		case !strings.HasPrefix(flag, "-"):
			flag, value = "--url", flag
		case flag == "-s", flag == "--silent", flag == "-i": // without a value
		case len(args) > 0:
			value, args = args[0], args[1:]
		}
		if err := c.set(flag, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) set(flag, value string) error {
	switch flag {
	case "-s", "--silent", "--max-time": // there is no progress to hide; tests have a time limit
	case "-i":
		c.include = true
	case "-X", "--request":
		c.method = value
	case "-H", "--header":
		name, value, _ := strings.Cut(value, ":")
		c.header.Add(name, strings.TrimSpace(value))
	case "-u", "--user":
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
	case "-o", "--output":
		c.output = value
	case "-D":
		c.dumps = value
	case "-d":
		return c.data(value, strings.NewReplacer("\r", "", "\n", "")) // as curl does
	case "--data-binary":
		return c.data(value, strings.NewReplacer())
	case "--write-out":
		c.format = value
	case "--config":
		return c.config(value)
	case "--url":
		if c.url != "" {
			return failed(badUsage, fmt.Errorf("this curl does not know a second URL %q", value))
		}
		c.url = value
	default:
		return failed(badUsage, fmt.Errorf("this curl does not know %q", flag))
	}
	return nil
}

// config reads a file of settings: each a flag without dashes and a value between
// double quotes.
func (c *call) config(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return failed(notRead, err)
	}
	for line := range strings.Lines(string(content)) {
		flag, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		value = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
		if err := c.set("--"+flag, strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(value)); err != nil {
			return err
		}
	}
	return nil
}

// data sets the body: a text, or a file after "@".
func (c *call) data(given string, clean *strings.Replacer) error {
	if name, isFile := strings.CutPrefix(given, "@"); isFile {
		content, err := os.ReadFile(name)
		if err != nil {
			return failed(notRead, err)
		}
		given = clean.Replace(string(content))
	}
	c.body, c.hasBody = given, true
	return nil
}

// request returns the request, and the address to send it to.
func (c *call) request() (request *http.Request, address string, err error) {
	if !strings.Contains(c.url, "://") {
		c.url = "http://" + c.url
	}
	to, err := url.Parse(c.url)
	if err != nil {
		return nil, "", failed(badURL, err)
	}
	host := to.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); to.Scheme != "http" || !ip.IsLoopback() || to.Port() == "" {
		return nil, "", failed(badURL, fmt.Errorf("%q is not a URL of this machine with a port", c.url))
	}
	request = &http.Request{Method: http.MethodGet, URL: to, Header: c.header}
	if c.hasBody {
		request.Method = http.MethodPost
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
		if c.header.Get("Content-Type") == "" {
			c.header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	if c.method != "" {
		request.Method = c.method
	}
	return request, net.JoinHostPort(host, to.Port()), nil
}

// run sends the request and writes the answer.
func (c *call) run(out io.Writer) error {
	request, address, err := c.request()
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		_, writeErr := io.WriteString(out, strings.ReplaceAll(c.format, "%{http_code}", "000"))
		return failed(unreachable, errors.Join(err, writeErr))
	}
	defer conn.Close()
	if err := request.Write(conn); err != nil {
		return failed(noAnswer, err)
	}
	var raw bytes.Buffer
	answer, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), request)
	if err != nil {
		return failed(noAnswer, err)
	}
	defer answer.Body.Close()
	header, _, _ := bytes.Cut(raw.Bytes(), []byte("\r\n\r\n"))
	header = append(bytes.Clone(header), "\r\n\r\n"...)
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return failed(noAnswer, err)
	}
	err = c.write(out, header, body)
	if err == nil {
		_, err = io.WriteString(out, strings.ReplaceAll(c.format, "%{http_code}", strconv.Itoa(answer.StatusCode)))
	}
	return failed(notWritten, err)
}

func (c *call) write(out io.Writer, header, body []byte) error {
	var errs []error
	if c.dumps != "" {
		errs = append(errs, os.WriteFile(c.dumps, header, 0o600))
	}
	if c.include {
		_, err := out.Write(bytes.ReplaceAll(header, []byte("\r"), nil)) // a terminal does not show it
		errs = append(errs, err)
	}
	if c.output != "" {
		errs = append(errs, os.WriteFile(c.output, body, 0o600))
	} else {
		_, err := out.Write(body)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

package docs

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// The tests need no curl: among the programs that the examples run, this test's
// own binary is curl, with the flags that the pages use. It knows no others, so
// that an example which needs more does not pass by chance.

// curlName is the name by which the test's binary is curl.
const curlName = "curl"

// curl is one call.
type curl struct {
	method, body  string
	hasBody       bool
	header        http.Header
	url           string
	include       bool   // the header goes to standard output
	output, dumps string // files for body and header
}

// runCurl is the main function of curl; it returns the exit code.
func runCurl(args []string, out, problems io.Writer) int {
	c := &curl{method: http.MethodGet, header: http.Header{}}
	err := c.parse(args)
	if err == nil {
		err = c.run(out)
	}
	if err != nil {
		fmt.Fprintln(problems, "curl:", err)
		return 1
	}
	return 0
}

func (c *curl) parse(args []string) error {
	for i := 0; i < len(args); i++ {
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			return ""
		}
		var err error
		switch args[i] {
		case "-s": // there is no progress to hide
		case "-i":
			c.include = true
		case "-X":
			c.method = next()
		case "-H":
			name, value, _ := strings.Cut(next(), ":")
			c.header.Add(name, strings.TrimSpace(value))
		case "-u":
			c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(next())))
		case "-o":
			c.output = next()
		case "-D":
			c.dumps = next()
		case "-d":
			err = c.data(next(), strings.NewReplacer("\r", "", "\n", "")) // as curl does
		case "--data-binary":
			err = c.data(next(), strings.NewReplacer())
		default:
			if strings.HasPrefix(args[i], "-") || c.url != "" {
				return fmt.Errorf("this curl does not know %q", args[i])
			}
			c.url = args[i]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// data sets the body: a text, or a file after "@".
func (c *curl) data(given string, clean *strings.Replacer) error {
	if name, isFile := strings.CutPrefix(given, "@"); isFile {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		given = clean.Replace(string(content))
	}
	c.body, c.hasBody, c.method = given, true, http.MethodPost
	if c.header.Get("Content-Type") == "" {
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return nil
}

// run sends the request and writes the answer.
func (c *curl) run(out io.Writer) error {
	if !strings.Contains(c.url, "://") {
		c.url = "http://" + c.url
	}
	to, err := url.Parse(c.url)
	if err != nil || to.Hostname() != "localhost" || to.Port() == "" {
		return fmt.Errorf("%q is not a URL of localhost with a port: %w", c.url, err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", to.Port()))
	if err != nil {
		return err
	}
	defer conn.Close()
	request := &http.Request{Method: c.method, URL: to, Header: c.header}
	if c.hasBody {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	var raw bytes.Buffer
	answer, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	header, _, _ := bytes.Cut(raw.Bytes(), []byte("\r\n\r\n"))
	header = append(bytes.Clone(header), "\r\n\r\n"...)
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return c.write(out, header, body)
}

func (c *curl) write(out io.Writer, header, body []byte) error {
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

package validate

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"dsiem/internal/config"
	"dsiem/test/testkit"
)

func TestValidateReturns(t *testing.T) {
	t.Parallel()
	silent := testkit.ScanConfig()
	silent["assets_a.json"] = &fstest.MapFile{Data: []byte(`{"assets": [{"name": "a", "cidr": "10.0.0.0/8", "value": 6}]}`)}
	for _, test := range []struct {
		name   string
		config fs.FS
		strict bool
		want   error
	}{
		{"nothing", testkit.ScanConfig(), false, nil},
		{"nothing, strictly", testkit.ScanConfig(), true, nil},
		{"warnings", silent, false, nil},
		{"warnings, strictly", silent, true, config.ErrInvalid},
		{"errors", fstest.MapFS{}, false, config.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, asJSON := range []bool{false, true} {
				var b bytes.Buffer
				err := Run(&Options{Config: test.config, Strict: test.strict, JSON: asJSON, Plan: true, Out: &b})
				if !errors.Is(err, test.want) {
					t.Errorf("the error is %v, want %v", err, test.want)
				}
				if !strings.HasSuffix(b.String(), "\n") {
					t.Errorf("the report does not end with a newline: %s", &b)
				}
			}
		})
	}
}

func TestValidateCannotWrite(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for _, asJSON := range []bool{false, true} {
		err := Run(&Options{
			Config: testkit.ScanConfig(), JSON: asJSON, Plan: true, Out: testkit.WriterFunc(func([]byte) (int, error) { return 0, broken }),
		})
		if !errors.Is(err, broken) {
			t.Errorf("the error is %v, want %v", err, broken)
		}
	}
}

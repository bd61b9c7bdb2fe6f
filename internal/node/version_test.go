package node

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := versionOf("v1.2.4", debug.ReadBuildInfo); !strings.HasPrefix(got, "v1.2.4 go1.") {
		t.Errorf("the version that was linked is %q", got)
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	for _, test := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"no information", nil, "unknown"},
		{"a release", &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3 go1.26.8"},
		{
			"a commit", &debug.BuildInfo{
				GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"},
				Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, revision},
			}, "development 0123456789ab go1.26.8",
		},
		{"a test", &debug.BuildInfo{GoVersion: "go1.26.8"}, "development go1.26.8"},
		{
			"a short revision", &debug.BuildInfo{
				GoVersion: "go1.26.8", Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "12"}},
			}, "development go1.26.8",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Version(func() (*debug.BuildInfo, bool) { return test.info, test.info != nil })
			if got != test.want {
				t.Errorf("the version is %q, want %q", got, test.want)
			}
		})
	}
}

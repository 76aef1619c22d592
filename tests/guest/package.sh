# SPDX-License-Identifier: GPL-2.0-only
# The life of the Debian package under systemd.
. /tests/lib.sh
. /tests/units.sh

export DEBIAN_FRONTEND=noninteractive
new=/debs/scx-agent_1.0.1_amd64.deb
old=/debs/scx-agent_1.0.0_amd64.deb
package() { dpkg-query -W -f '${db:Status-Status} ${Version}' scx-agent 2>/dev/null; }
pids() { systemctl show -P MainPID scx_agent; }
agent_that_waits a 100

### installed, and not started
dpkg -i $old >/out/install.out 2>/out/install.err
fact install $?
fact installed "$(package)"
fact installed_active "$(systemctl is-active scx_agent) $(systemctl is-enabled scx_agent) $(state)"
fact unit_path "$(systemctl show -P FragmentPath scx_agent)"
fact bash "$(bash -c '. /usr/share/bash-completion/completions/scx_agent && complete -p scx_agent' | grep -c scx_agent)"
# The manual pages as they are in the package: this guest's dpkg leaves them out.
generated
mkdir /tmp/unpacked
dpkg-deb -x $old /tmp/unpacked
fact not_installed "$({
	for page in scx_agent.1 scx_agent-status.1 $(cd /tmp/generated && ls -- *.1); do
		gzip -d "/tmp/unpacked/usr/share/man/man1/$page.gz"
		same "$page" "/tmp/unpacked/usr/share/man/man1/$page"
	done
	same scx_agent.bash /usr/share/bash-completion/completions/scx_agent
	same _scx_agent /usr/share/zsh/vendor-completions/_scx_agent
	same scx_agent.fish /usr/share/fish/vendor_completions.d/scx_agent.fish
} 2>/out/not_installed.err | tr '\n' ' ')"
fact drop_ins "$(stat -c '%a %U' /etc/scx_agent/conf.d) $(ls /etc/scx_agent/conf.d | wc -l)"
fact settings_are_defaults "$(scx_agent config default | diff - /etc/scx_agent/config.toml && echo yes)"

### upgraded while it is off: it stays off
dpkg -i $new >/out/upgrade_off.out 2>/out/upgrade_off.err
fact upgrade_off "$? $(package) $(systemctl is-active scx_agent) $(state)"
fact not_warned "$(grep -c warning: /out/upgrade_off.err)"

### beside one of scripts/install, whose unit is before the package's
shadow=/usr/local/lib/systemd/system/scx_agent.service
install -D -m 644 /usr/lib/systemd/system/scx_agent.service $shadow
dpkg -i $old >/out/downgrade.out 2>/out/downgrade.err
fact warned "$(grep -c "warning: $shadow" /out/downgrade.err)"
rm $shadow
systemctl daemon-reload

### upgraded while it schedules: settings are kept, and it schedules again
sed -i 's/^#agent_cgroups = .*/agent_cgroups = ["agents\/*"]/' /etc/scx_agent/config.toml
echo 'mem_slack_pct = 30' >/etc/scx_agent/conf.d/50-mine.toml
systemctl enable --now scx_agent 2>/dev/null
wait_for 60 isnt a max
pid=$(pids)
dpkg -i --force-confdef --force-confold $new >/out/upgrade.out 2>/out/upgrade.err
fact upgrade "$? $(package)"
wait_for 60 active_and_enabled
fact upgraded_active "$(systemctl is-active scx_agent) $(systemctl is-enabled scx_agent) $(state)"
fact upgraded_anew "$([ "$(pids)" != "$pid" ] && echo yes)"
fact upgraded_settings "$(grep -c '^agent_cgroups' /etc/scx_agent/config.toml)"
wait_for 60 isnt a max
fact upgraded_limited $?

### removed: the host is as before
dpkg -r scx-agent >/out/remove.out 2>/out/remove.err
fact remove $?
fact removed "$(package)"
fact removed_state "$(state)"
fact removed_high "$(high a)"
fact removed_settings "$(ls /etc/scx_agent | tr '\n' ' ')"
fact removed_drop_ins "$(ls /etc/scx_agent/conf.d)"
fact removed_logs "$(ls -d /var/log/scx_agent)"
fact removed_program "$(ls /usr/bin/scx_agent /usr/lib/systemd/system/scx_agent.service 2>/dev/null)"

### purged: nothing is left
dpkg -P scx-agent >/out/purge.out 2>/out/purge.err
fact purge $?
fact purged "$(package)"
fact left "$(find /etc /usr /var/log /var/lib/systemd /var/lib/dpkg/info /run/systemd/generator* \( -name '*scx_agent*' -o -name '*scx-agent*' \) 2>/dev/null | tr '\n' ' ')"
fact left_in_run "$(ls -d /run/scx_agent /run/scx 2>/dev/null | tr '\n' ' ')"
fact agent_lives "$(kill -0 $waits && echo yes)"
fact system "$(systemctl list-units --failed --no-legend | tr '\n' ' ')"
journalctl -u scx_agent --no-pager -o short-monotonic >/out/journal.err

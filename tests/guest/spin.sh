# SPDX-License-Identifier: GPL-2.0-only
# spin.sh WIDTH LOOPS: that many processes that work.
n=0
while [ $n -lt $1 ]; do
	n=$((n + 1))
	(
		i=0
		while [ $i -lt $2 ]; do i=$((i + 1)); done
	) &
done
wait

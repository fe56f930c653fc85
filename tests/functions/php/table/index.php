<?php
// Does what the event asks for, as the function `table` of every language does: see tests/it/languages.rs.

const VALUES = [
    'null' => null,
    'true' => true,
    'false' => false,
    'largest-exact' => 2 ** 53 - 1,
    'beyond-exact' => 2 ** 53 + 1,
    'fraction' => 0.1,
    'negative' => -17,
    'text' => 'grüße, 世界 🌍',
    'controls' => "a\"b\\c\n\t\u{1}",
    'empty-text' => '',
    'empty-list' => [],
];

/* A little of everything a run can take: files, memory, child processes. */
function strain()
{
    $name = sys_get_temp_dir() . '/file';
    file_put_contents($name, str_repeat(str_repeat("\0", 1 << 16), 64));
    $said = [(int) shell_exec("cat $name | wc -c"), (int) exec("cat $name | wc -c")];
    exec('sleep 600 > /dev/null 2>&1 &');
    usleep(1000);
    return $said;
}

function main_handler($event, $context)
{
    $word = $event->what ?? null;
    switch ($event->do) {
        case 'return':
            if ($word === 'empty-object') {
                return new stdClass();
            }
            if ($word === 'nested') {
                return ['a' => [1, ['b' => [[], new stdClass()]], null], 'ключ' => ['' => 0]];
            }
            return VALUES[$word];
        case 'echo':
            return $word;
        case 'unserialisable':
            return ['when' => STDOUT];
        case 'large':
            return str_repeat('x', 6 << 20);
        case 'raise':
            throw new DomainException('grüße, 世界 🌍');
        case 'exit':
            exit($word);
        case 'kill':
            posix_kill(getmypid(), SIGKILL);
            break;
        case 'sleep':
            sleep(600);
            break;
        case 'memory':
            ini_set('memory_limit', '-1'); // PHP itself would refuse
            $held = str_repeat('x', 100 << 20);
            sleep(600);
            return strlen($held);
        case 'print':
            echo "to stdout: grüße, 世界 🌍\n";
            fwrite(STDERR, "to stderr\n");
            echo 'no line end';
            return null;
        case 'flood':
            for ($number = 0; $number < $word; $number++) {
                echo "line {$number}\n";
            }
            return $word;
        case 'child':
            $files = [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']];
            $GLOBALS['child'] = proc_open(['sleep', $word], $files, $pipes);
            return 'started';
        case 'strain':
            return strain();
        case 'context':
            return $context;
        case 'environment':
            return getenv();
    }
    throw new OutOfBoundsException($event->do);
}

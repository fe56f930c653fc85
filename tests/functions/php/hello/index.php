<?php
// The first function: prints what it was given and greets the value of "key".

function main_handler($event, $context)
{
    echo 'event: ', json_encode($event, JSON_UNESCAPED_UNICODE), "\n";
    return ['hello' => $event->key ?? 'world'];
}

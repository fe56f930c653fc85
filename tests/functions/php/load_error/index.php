<?php
// Fails while it is loaded.

function main_handler($event, $context)
{
    return $event;
}

throw new DomainException('an error while loading');
